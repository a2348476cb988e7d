-- title: true and false are averaged as 1 and 0
SELECT avg(died) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, died
--> measure 1: sum of deviations of to_int(died), clamped to 0 .. 1 in steps of 1
--> measure 2: count of rows
--> each person counts with one row
--> shows avg(died): mean from measures 1 and 2

-- title: IIF is IF
SELECT count(*) FROM liver.patients WHERE iif(is_male, 1, 2) = 1;
--> reads liver.patients (one row a person): patient_id, is_male
--> keeps rows where case when is_male then 1 else 2 end = 1
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: percentile_cont as some programs write it
SELECT quantile_cont(bmi, 0.9 ORDER BY bmi) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, bmi
--> measure 1: quantile 0.9 of bmi, clamped to 10 .. 70 in steps of 0.01, from 1001 candidates
--> each person counts with one row
--> shows quantile_cont(bmi, 0.9 order by bmi): measure 1, in kg/m2
