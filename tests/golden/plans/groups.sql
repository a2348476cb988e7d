-- title: a condition column has two values
SELECT is_male, count(*) FROM liver.patients GROUP BY is_male;
--> reads liver.patients (one row a person): patient_id, is_male
--> groups by is_male: false, true
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows is_male: is_male
--> shows count(*): measure 1

-- title: declared values, and NULL where a column may be NULL
SELECT site, count(*) FROM liver.patients GROUP BY site;
--> reads liver.patients (one row a person): patient_id, site
--> groups by site: 'north', 'south', 'east', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows site: site
--> shows count(*): measure 1

-- title: NULL is no group where it was filtered out
SELECT site, count(*) FROM liver.patients WHERE site IS NOT NULL GROUP BY site;
--> reads liver.patients (one row a person): patient_id, site
--> keeps rows where site is not null
--> groups by site: 'north', 'south', 'east'
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows site: site
--> shows count(*): measure 1

-- title: a whole number within bounds has public values
SELECT age, count(*) FROM liver.patients GROUP BY age;
--> reads liver.patients (one row a person): patient_id, age
--> groups by age: 83 public values, 18 .. 100
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows age: age, in years
--> shows count(*): measure 1

-- title: a filter narrows the values of its column
SELECT age, count(*) FROM liver.patients WHERE age IN (30, 40, 50) GROUP BY age;
--> reads liver.patients (one row a person): patient_id, age
--> keeps rows where age in (30, 40, 50)
--> groups by age: 30, 40, 50
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows age: age, in years
--> shows count(*): measure 1

-- title: a filter gives a column public values that has none
SELECT postcode, count(*) FROM liver.patients WHERE postcode IN ('N1', 'N2') GROUP BY postcode;
--> reads liver.patients (one row a person): patient_id, postcode
--> keeps rows where postcode in ('N1', 'N2')
--> groups by postcode: 'N1', 'N2'
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows postcode: postcode
--> shows count(*): measure 1

-- title: a comparison narrows them too
SELECT age, site, count(*) FROM liver.patients WHERE age BETWEEN 40 AND 42 AND site <> 'north' GROUP BY age, site;
--> reads liver.patients (one row a person): patient_id, age, site
--> keeps rows where (age >= 40) and (age <= 42) and (site <> 'north')
--> groups by age: 40, 41, 42
--> groups by site: 'south', 'east'
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows age: age, in years
--> shows site: site
--> shows count(*): measure 1

-- title: values that are not public are selected by noisy counts
SELECT postcode, avg(bmi) FROM liver.patients GROUP BY postcode;
--> reads liver.patients (one row a person): patient_id, bmi, postcode
--> groups by postcode, whose values are private: only groups of enough persons show
--> measure 1: count of persons
--> measure 2: sum of deviations of bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 3: count of persons where bmi is not null
--> each person counts with one row in one group
--> shows postcode: postcode
--> shows avg(bmi): mean from measures 2 and 3, in kg/m2

-- title: counting rows of single persons serves to select keys
SELECT postcode, count(*) FROM liver.patients GROUP BY postcode;
--> reads liver.patients (one row a person): patient_id, postcode
--> groups by postcode, whose values are private: only groups of enough persons show
--> measure 1: count of persons
--> each person counts with one row in one group
--> shows postcode: postcode
--> shows count(*): measure 1

-- title: a CASE with constant results
SELECT CASE WHEN age < 40 THEN 'young' WHEN age < 65 THEN 'middle' ELSE 'old' END AS band, avg(bmi) FROM liver.patients GROUP BY band;
--> reads liver.patients (one row a person): patient_id, age, bmi
--> groups by case when age < 40 then 'young' when age < 65 then 'middle' else 'old' end: 'young', 'middle', 'old'
--> measure 1: sum of deviations of bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 2: count of rows where bmi is not null
--> each person counts with one row in one group
--> shows band: case when age < 40 then 'young' when age < 65 then 'middle' else 'old' end
--> shows avg(bmi): mean from measures 1 and 2, in kg/m2

-- title: a CASE without ELSE may be NULL
SELECT CASE WHEN bmi > 30 THEN 'obese' WHEN bmi > 25 THEN 'heavy' END AS class, count(*) FROM liver.patients GROUP BY 1;
--> reads liver.patients (one row a person): patient_id, bmi
--> groups by case when bmi > 30 then 'obese' when bmi > 25 then 'heavy' else null end: 'obese', 'heavy', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows class: case when bmi > 30 then 'obese' when bmi > 25 then 'heavy' else null end
--> shows count(*): measure 1

-- title: a comparison as a key
SELECT bmi > 30 AS obese, count(*) FROM liver.patients GROUP BY obese;
--> reads liver.patients (one row a person): patient_id, bmi
--> groups by bmi > 30: false, true, null
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows obese: bmi > 30
--> shows count(*): measure 1

-- title: decades by integer division
SELECT age // 10 * 10 AS decade, count(*) FROM liver.patients GROUP BY decade;
--> reads liver.patients (one row a person): patient_id, age
--> groups by (age // 10) * 10: 10, 20, 30, 40, 50, 60, 70, 80, 90, 100
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows decade: (age // 10) * 10
--> shows count(*): measure 1

-- title: decades by rounding down
SELECT floor(age / 10) AS decade, count(*) FROM liver.patients GROUP BY 1;
--> reads liver.patients (one row a person): patient_id, age
--> groups by floor(age / 10): 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows decade: floor(age / 10)
--> shows count(*): measure 1

-- title: a real number rounded down within its bounds
SELECT floor(bmi) AS whole, count(*) FROM liver.patients GROUP BY whole;
--> reads liver.patients (one row a person): patient_id, bmi
--> groups by floor(bmi): 62 public values, 10 .. null
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows whole: floor(bmi), in kg/m2
--> shows count(*): measure 1

-- title: parts of dates
SELECT quarter(born) AS q, month(born) AS m, count(*) FROM liver.patients GROUP BY q, m;
--> reads liver.patients (one row a person): patient_id, born
--> groups by month(born): 13 public values, 1 .. null
--> groups by quarter(born): 1, 2, 3, 4, null
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows q: quarter(born)
--> shows m: month(born)
--> shows count(*): measure 1

-- title: COALESCE names the missing
SELECT coalesce(site, 'unknown') AS place, count(*) FROM liver.patients GROUP BY place;
--> reads liver.patients (one row a person): patient_id, site
--> groups by coalesce(site, 'unknown'): 'east', 'north', 'south', 'unknown'
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows place: coalesce(site, 'unknown')
--> shows count(*): measure 1

-- title: functions of public values
SELECT upper(site) AS place, is_male AND died AS lost, count(*) FROM liver.patients GROUP BY place, lost;
--> reads liver.patients (one row a person): patient_id, is_male, died, site
--> groups by died and is_male: false, true
--> groups by upper(site): 'EAST', 'NORTH', 'SOUTH', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows place: upper(site)
--> shows lost: died and is_male
--> shows count(*): measure 1

-- title: ordinals, aliases and ALL
SELECT site AS place, is_male, count(*) FROM liver.patients GROUP BY ALL;
--> reads liver.patients (one row a person): patient_id, is_male, site
--> groups by is_male: false, true
--> groups by site: 'north', 'south', 'east', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows place: site
--> shows is_male: is_male
--> shows count(*): measure 1

-- title: the order of keys does not matter
SELECT is_male, site, count(*) FROM liver.patients GROUP BY site, is_male;
--> reads liver.patients (one row a person): patient_id, is_male, site
--> groups by is_male: false, true
--> groups by site: 'north', 'south', 'east', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows is_male: is_male
--> shows site: site
--> shows count(*): measure 1

-- title: a person stands in as many groups as a varying key has values
SELECT test, avg(value) FROM liver.measurements GROUP BY test;
--> reads liver.measurements (at most 60 rows a person count): patient_id, test, value
--> groups by test: 'fib4', 'hdl', 'sbp', 'smoke'
--> measure 1: sum of deviations of value, clamped to 0 .. 260 in steps of 0.01
--> measure 2: count of rows
--> each person counts with at most 60 rows in all, in at most 4 groups
--> shows test: test
--> shows avg(value): mean from measures 1 and 2

-- title: or in as many as the custodian declared
SELECT code, count(*) FROM liver.conditions GROUP BY code;
--> reads liver.conditions (at most 14 rows a person count): patient_id, code
--> groups by code, whose values are private: only groups of enough persons show
--> measure 1: count of persons
--> measure 2: count of rows
--> each person counts with at most 14 rows in all, in at most 6 groups
--> shows code: code
--> shows count(*): measure 2

-- title: a sub-query test as a key
SELECT patient_id IN (SELECT patient_id FROM liver.conditions WHERE condition = 'htn') AS htn, avg(bmi) FROM liver.patients GROUP BY htn;
--> reads liver.patients (one row a person): patient_id, bmi
--> joins on the person, keeping rows without a match:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, condition
-->   keeps rows where conditions.condition = 'htn'
-->   makes one row for each person
-->     computes d0.0 = count of rows
--> groups by d0.0 is not null: false, true
--> measure 1: sum of deviations of patients.bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 2: count of rows where patients.bmi is not null
--> each person counts with one row in one group
--> shows htn: d0.0 is not null
--> shows avg(bmi): mean from measures 1 and 2, in kg/m2

-- title: an expression of a key is computed after the noise
SELECT age + 1 AS next_year, count(*) FROM liver.patients WHERE age < 25 GROUP BY age;
--> reads liver.patients (one row a person): patient_id, age
--> keeps rows where age < 25
--> groups by age: 18, 19, 20, 21, 22, 23, 24
--> measure 1: count of rows
--> each person counts with one row in one group
--> then computes age + 1, measure 1
--> shows next_year: age + 1, in years
--> shows count(*): measure 1

-- title: a constant is no key
SELECT 'all' AS who, count(*) FROM liver.patients GROUP BY who;
--> reads liver.patients (one row a person): patient_id
--> measure 1: count of rows
--> each person counts with one row
--> then computes 'all', measure 1
--> shows who: 'all'
--> shows count(*): measure 1
