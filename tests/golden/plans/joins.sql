-- title: private tables on the person
SELECT p.is_male, count(*) FROM liver.patients p JOIN liver.conditions c ON p.patient_id = c.patient_id WHERE c.condition = 'htn' GROUP BY p.is_male;
--> reads liver.patients (one row a person): patient_id, is_male
--> joins on the person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, condition
--> keeps rows where conditions.condition = 'htn'
--> groups by patients.is_male: false, true
--> measure 1: count of rows
--> each person counts with at most 14 rows in one group
--> shows is_male: patients.is_male
--> shows count(*): measure 1

-- title: rows multiply with a join
SELECT count(*) FROM liver.measurements JOIN liver.conditions USING (patient_id);
--> reads liver.measurements (at most 60 rows a person count): patient_id
--> joins on the person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id
--> measure 1: count of rows
--> each person counts with at most 840 rows
--> shows count(*): measure 1

-- title: further conditions on the join
SELECT count(*) FROM liver.patients p JOIN liver.conditions c ON c.patient_id = p.patient_id AND c.day <= p.follow_up_days;
--> reads liver.patients (one row a person): patient_id, follow_up_days
--> joins on the person where conditions.day <= patients.follow_up_days:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, day
--> measure 1: count of rows
--> each person counts with at most 14 rows
--> shows count(*): measure 1

-- title: a comma join with its link in WHERE
SELECT count(*) FROM liver.patients p, liver.conditions c WHERE p.patient_id = c.patient_id AND c.condition = 'stroke';
--> reads liver.patients (one row a person): patient_id
--> joins on the person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, condition
--> keeps rows where conditions.condition = 'stroke'
--> measure 1: count of rows
--> each person counts with at most 14 rows
--> shows count(*): measure 1

-- title: a left join keeps persons without rows
SELECT c.condition, count(DISTINCT p.patient_id) FROM liver.patients p LEFT JOIN liver.conditions c USING (patient_id) GROUP BY c.condition;
--> reads liver.patients (one row a person): patient_id
--> joins on the person, keeping rows without a match:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, condition
--> groups by conditions.condition: 'nafld', 'diabetes', 'stroke', 'htn', null
--> measure 1: count of persons
--> each person counts with at most 14 rows in all, in at most 5 groups
--> shows condition: conditions.condition
--> shows count(distinct p.patient_id): measure 1

-- title: a right join is a left join the other way round
SELECT count(*) FROM liver.conditions c RIGHT JOIN liver.patients p ON c.patient_id = p.patient_id WHERE c.day IS NULL;
--> reads liver.patients (one row a person): patient_id
--> joins on the person, keeping rows without a match:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, day
--> keeps rows where conditions.day is null
--> measure 1: count of rows
--> each person counts with at most 14 rows
--> shows count(*): measure 1

-- title: the anti-join written as a left join adds no rows
SELECT count(*) FROM liver.patients p LEFT JOIN liver.conditions c ON p.patient_id = c.patient_id AND c.condition = 'nafld' WHERE c.patient_id IS NULL;
--> reads liver.patients (one row a person): patient_id
--> joins on the person where conditions.condition = 'nafld', keeping rows without a match:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, condition
-->   computes d0.0 = true
--> keeps rows where d0.0 is null
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: a public table on anything
SELECT i.organ, count(*) FROM liver.conditions c JOIN liver.icd i ON c.code = i.code GROUP BY i.organ;
--> reads liver.conditions (at most 14 rows a person count): patient_id, code
--> joins with a public table where conditions.code = icd.code:
-->   reads liver.icd (public): code, organ
--> groups by icd.organ: 'liver', 'heart', 'brain'
--> measure 1: count of rows
--> each person counts with at most 14 rows in all, in at most 3 groups
--> shows organ: icd.organ
--> shows count(*): measure 1

-- title: a public column without declared values is a private key
SELECT chapter, count(DISTINCT patient_id) FROM liver.icd JOIN liver.conditions USING (code) GROUP BY chapter;
--> reads liver.conditions (at most 14 rows a person count): patient_id, code
--> joins with a public table where icd.code = conditions.code:
-->   reads liver.icd (public): code, chapter
--> groups by icd.chapter, whose values are private: only groups of enough persons show
--> measure 1: count of persons
--> each person counts with at most 14 rows in all, in at most 6 groups
--> shows chapter: icd.chapter
--> shows count(distinct patient_id): measure 1

-- title: a public table without a match
SELECT organ, count(*) FROM liver.conditions LEFT JOIN liver.icd USING (code) GROUP BY organ;
--> reads liver.conditions (at most 14 rows a person count): patient_id, code
--> joins with a public table where conditions.code = icd.code, keeping rows without a match:
-->   reads liver.icd (public): code, organ
--> groups by icd.organ: 'liver', 'heart', 'brain', null
--> measure 1: count of rows
--> each person counts with at most 14 rows in all, in at most 4 groups
--> shows organ: icd.organ
--> shows count(*): measure 1

-- title: a public table joined on an inequality
SELECT count(DISTINCT patient_id) FROM liver.patients p CROSS JOIN liver.icd i WHERE p.bmi > i.weight;
--> reads liver.patients (one row a person): patient_id, bmi
--> joins with a public table where true:
-->   reads liver.icd (public): weight
--> keeps rows where icd.weight < patients.bmi
--> measure 1: count of persons
--> each person counts with one row
--> shows count(distinct patient_id): measure 1

-- title: a table with itself
SELECT count(*) FROM liver.conditions a JOIN liver.conditions b ON a.patient_id = b.patient_id AND a.day < b.day WHERE a.condition = 'diabetes' AND b.condition = 'stroke';
--> reads liver.conditions (at most 14 rows a person count): patient_id, day, condition
--> joins on the person where conditions.day < conditions#2.day:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, day, condition
--> keeps rows where (conditions#2.condition = 'stroke') and (conditions.condition = 'diabetes')
--> measure 1: count of rows
--> each person counts with at most 196 rows
--> shows count(*): measure 1

-- title: semi and anti joins
SELECT count(*) FROM liver.patients SEMI JOIN liver.conditions USING (patient_id);
--> reads liver.patients (one row a person): patient_id
--> keeps rows for which the following has some of the same person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: an anti join
SELECT count(*) FROM liver.patients ANTI JOIN liver.conditions USING (patient_id);
--> reads liver.patients (one row a person): patient_id
--> keeps rows for which the following has none of the same person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: tables without their dataset, where only one has them
SELECT count(*) FROM patients JOIN conditions USING (patient_id);
--> reads liver.patients (one row a person): patient_id
--> joins on the person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id
--> measure 1: count of rows
--> each person counts with at most 14 rows
--> shows count(*): measure 1

-- title: columns with table and dataset
SELECT avg(patients.bmi), avg(liver.patients.age) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, age, bmi
--> measure 1: sum of deviations of age, clamped to 18 .. 100 in steps of 1
--> measure 2: sum of deviations of bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 3: count of rows where bmi is not null
--> measure 4: count of rows
--> each person counts with one row
--> shows avg(patients.bmi): mean from measures 2 and 3, in kg/m2
--> shows avg(liver.patients.age): mean from measures 1 and 4, in years

-- title: three tables
SELECT count(DISTINCT p.patient_id) FROM liver.patients p JOIN liver.conditions c USING (patient_id) JOIN liver.measurements m USING (patient_id) WHERE m.test = 'sbp' AND m.value > 140 AND m.day > c.day;
--> reads liver.patients (one row a person): patient_id
--> joins on the person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, day
--> joins on the person:
-->   reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> keeps rows where (measurements.test = 'sbp') and (measurements.value > 140) and (conditions.day < measurements.day)
--> measure 1: count of persons
--> each person counts with at most 840 rows
--> shows count(distinct p.patient_id): measure 1
